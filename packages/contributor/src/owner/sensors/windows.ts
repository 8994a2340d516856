import type { Readings } from '../verdict.ts'
import type { Run } from './command.ts'

/** A fixed script: time since the last input, whether on battery, and its charge; one line. */
const SCRIPT = `
$ErrorActionPreference = 'Stop'
Add-Type @'
using System;
using System.Runtime.InteropServices;
public static class PingoInput {
  [StructLayout(LayoutKind.Sequential)] struct Info { public uint size; public uint time; }
  [DllImport("user32.dll")] static extern bool GetLastInputInfo(ref Info info);
  public static long Idle() {
    Info info = new Info(); info.size = 8;
    return GetLastInputInfo(ref info) ? (long)unchecked((uint)Environment.TickCount - info.time) : -1;
  }
}
'@
$battery = Get-CimInstance Win32_Battery | Select-Object -First 1
"{0} {1} {2}" -f [PingoInput]::Idle(), $battery.BatteryStatus, $battery.EstimatedChargeRemaining
`
const ENCODED = Buffer.from(SCRIPT, 'utf16le').toString('base64')

/** What Windows says of input and battery. Starting PowerShell takes a second of CPU time: to be asked seldom. */
export async function windowsReadings(run: Run): Promise<Pick<Readings, 'idleMs' | 'onBattery' | 'batteryShare'>> {
  const args = ['-NoProfile', '-NonInteractive', '-EncodedCommand', ENCODED]
  const [idle, status, charge] = ((await run('powershell.exe', args)) ?? '').trim().split(' ')
  const idleMs = Number(idle)
  return {
    ...(idle && idleMs >= 0 && { idleMs }),
    // Win32_Battery.BatteryStatus 1: 'the battery is discharging'
    ...(status && { onBattery: status === '1' }),
    ...(charge && Number(charge) <= 100 && { batteryShare: Number(charge) / 100 }),
  }
}
