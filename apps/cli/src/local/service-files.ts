import { homedir } from 'node:os'
import { join } from 'node:path'

/** How a system starts a contributor with its owner's session: files for its service manager, and the commands that make it look. */

export interface Service {
  /** Where the file goes. */
  file: string
  text: string
  /** Commands that make it run, and that end it. */
  enable: string[][]
  disable: string[][]
}

export interface ServiceOptions {
  /** Absolute path of Node and of the command. */
  node: string
  command: string
  /** Arguments behind `contribute`. */
  args: string[]
  /** PINGO_HOME. */
  home: string
}

const NAME = 'pingo-contributor'
const LABEL = 'work.pingo.contributor'

/** Where the service's file is, on a system that is known. */
export function serviceFile(platform: NodeJS.Platform = process.platform, home = homedir()): string | undefined {
  if (platform === 'linux')
    return join(process.env.XDG_CONFIG_HOME || join(home, '.config'), 'systemd', 'user', `${NAME}.service`)
  if (platform === 'darwin') return join(home, 'Library', 'LaunchAgents', `${LABEL}.plist`)
  if (platform === 'win32') return join(home, '.pingo', `${NAME}.xml`)
  return undefined
}

export function serviceFor(platform: NodeJS.Platform, o: ServiceOptions): Service | undefined {
  const file = serviceFile(platform)
  if (!file) return undefined
  if (platform === 'linux') return systemd(file, o)
  return platform === 'darwin' ? launchd(file, o) : scheduler(file, o)
}

/** A systemd user unit (systemd.service(5), systemd.resource-control(5)): cgroup delegated, lowest priority. */
function systemd(file: string, o: ServiceOptions): Service {
  const words = [o.node, o.command, 'contribute', ...o.args].map(quoteForSystemd).join(' ')
  const text = `[Unit]
Description=PinGo contributor: lends idle CPU, memory and disk
StartLimitIntervalSec=0

[Service]
ExecStart=${words}
Environment=${quoteForSystemd(`PINGO_HOME=${o.home}`)}
Restart=on-failure
RestartSec=30
KillSignal=SIGTERM
TimeoutStopSec=40
Nice=19
CPUSchedulingPolicy=idle
IOSchedulingClass=idle
Delegate=yes
UMask=0077

[Install]
WantedBy=default.target
`
  return {
    file,
    text,
    enable: [
      ['systemctl', '--user', 'daemon-reload'],
      ['systemctl', '--user', 'enable', '--now', `${NAME}.service`],
    ],
    disable: [['systemctl', '--user', 'disable', '--now', `${NAME}.service`]],
  }
}

/** % and $ mean something to systemd, quotes and backslashes too. */
const quoteForSystemd = (word: string): string =>
  `"${word.replace(/[\\"]/g, '\\$&').replace(/%/g, '%%').replace(/\$/g, '$$$$')}"`

/** A launchd agent (launchd.plist(5)). */
function launchd(file: string, o: ServiceOptions): Service {
  const words = [o.node, o.command, 'contribute', ...o.args].map((word) => `    <string>${xml(word)}</string>`)
  const text = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${LABEL}</string>
  <key>ProgramArguments</key>
  <array>
${words.join('\n')}
  </array>
  <key>EnvironmentVariables</key>
  <dict>
    <key>PINGO_HOME</key>
    <string>${xml(o.home)}</string>
  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>30</integer>
  <key>ExitTimeOut</key>
  <integer>40</integer>
  <key>ProcessType</key>
  <string>Background</string>
  <key>Nice</key>
  <integer>19</integer>
  <key>LowPriorityIO</key>
  <true/>
</dict>
</plist>
`
  const domain = `gui/${process.getuid?.() ?? 501}`
  return {
    file,
    text,
    enable: [['launchctl', 'bootstrap', domain, file]],
    disable: [['launchctl', 'bootout', `${domain}/${LABEL}`]],
  }
}

/** A task of the Windows Task Scheduler (schema 1.3): at logon, lowest priority, also on battery (the contributor sees to that itself). */
function scheduler(file: string, o: ServiceOptions): Service {
  const words = [o.command, 'contribute', ...o.args, '--home', join(o.home, 'contributor')]
    .map(quoteForWindows)
    .join(' ')
  const text = `<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.3" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Description>PinGo contributor: lends idle CPU, memory and disk</Description></RegistrationInfo>
  <Triggers><LogonTrigger><Enabled>true</Enabled></LogonTrigger></Triggers>
  <Principals><Principal id="Author"><LogonType>InteractiveToken</LogonType><RunLevel>LeastPrivilege</RunLevel></Principal></Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>10</Priority>
    <RestartOnFailure><Interval>PT1M</Interval><Count>999</Count></RestartOnFailure>
  </Settings>
  <Actions Context="Author"><Exec><Command>${xml(o.node)}</Command><Arguments>${xml(words)}</Arguments></Exec></Actions>
</Task>
`
  return {
    file,
    text,
    enable: [
      ['schtasks', '/Create', '/F', '/TN', NAME, '/XML', file],
      ['schtasks', '/Run', '/TN', NAME],
    ],
    disable: [['schtasks', '/Delete', '/F', '/TN', NAME]],
  }
}

const xml = (text: string): string => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)
/** As CommandLineToArgvW takes words apart. */
const quoteForWindows = (word: string): string => `"${word.replace(/(\\*)"/g, '$1$1\\"').replace(/(\\+)$/, '$1$1')}"`
