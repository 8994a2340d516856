import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism, cpus, freemem } from 'node:os'
import { engineInfo } from '@pingo/engine'
import { type Hardware, MAX_SLICES, type Offer, PinGoError, type Slice } from '@pingo/wire'
import { DEFAULT_DISK_BYTES, LEAST_CORES, LEAST_DISK_BYTES, LEAST_MEMORY_BYTES } from './owner/limits.ts'
import { memoryLimit } from './owner/machine.ts'

/** The share of free memory that is lent when the owner says nothing. */
const MEMORY_SHARE = 0.7

/**
 * How what is lent is divided: a slice for each core and one for the rest, or as many equal ones as are wanted. Each has 256 MiB at least, so
 * with little memory there are fewer.
 * @param wanted jobs side by side at most; 0: one for each core
 */
export function divide(cores: number, memoryBytes: number, wanted = 0): Slice[] {
  const whole = Math.max(1, Math.ceil(cores - 1e-9))
  const fit = Math.max(1, Math.min(MAX_SLICES, Math.floor(memoryBytes / LEAST_MEMORY_BYTES)))
  const count = Math.max(1, Math.min(wanted || whole, fit, Math.floor(cores / LEAST_CORES + 1e-9)))
  const memory = Math.floor(memoryBytes / count)
  if (count > whole) return Array.from({ length: count }, () => ({ cores: cores / count, memoryBytes: memory }))
  const parts = Array.from({ length: count }, (_, i) => Math.min(1, cores - i))
  return parts.filter((part) => part >= LEAST_CORES).map((part) => ({ cores: part, memoryBytes: memory }))
}

/**
 * What an owner lends: what was said, the rest by defaults.
 * @param wanted slices at most; 0: one for each core
 * @throws PinGoError OFFER_INVALID
 */
export function resolveOffer(said: Partial<Offer>, wanted = 0): Offer & { slices: Slice[] } {
  const offer: Offer = {
    cores: said.cores ?? 1,
    memoryBytes: said.memoryBytes ?? Math.floor(Math.min(memoryLimit(), freemem()) * MEMORY_SHARE),
    diskBytes: said.diskBytes ?? DEFAULT_DISK_BYTES,
  }
  if (!(offer.cores >= 0.05 && offer.cores <= availableParallelism()))
    throw new PinGoError(
      'OFFER_INVALID',
      `This machine has ${availableParallelism()} cores; ${offer.cores} cannot be offered.`,
      {
        hint: `Offer between 0.05 and ${availableParallelism()}.`,
      },
    )
  if (
    said.memoryBytes !== undefined &&
    !(offer.memoryBytes >= LEAST_MEMORY_BYTES && offer.memoryBytes <= memoryLimit())
  )
    throw new PinGoError(
      'OFFER_INVALID',
      `${offer.memoryBytes} bytes of memory cannot be offered: it takes 256 MiB at least, and this machine has ${memoryLimit()}.`,
    )
  if (offer.diskBytes < LEAST_DISK_BYTES)
    throw new PinGoError(
      'OFFER_INVALID',
      `${offer.diskBytes} bytes of disk cannot be offered: the data of a lease take ${LEAST_DISK_BYTES >> 20} MiB at least.`,
    )
  return { ...offer, slices: divide(offer.cores, offer.memoryBytes, wanted) }
}

/** Flags that decide which kernels ONNX Runtime takes, the widest first: as Linux writes them for x86 and ARM. */
const ISA_FLAGS = [
  'avx512f',
  'avx512_vnni',
  'avx_vnni',
  'avx2',
  'fma',
  'sve',
  'i8mm',
  'bf16',
  'asimddp',
  'asimd',
  'neon',
]

/** Vector instructions of this machine: from the text of /proc/cpuinfo; elsewhere what every processor of the architecture has, or nothing. */
export function isaOf(cpuinfo: string | undefined, arch: string): string | undefined {
  const flags = new Set(/^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo ?? '')?.[1]?.split(' '))
  const known = ISA_FLAGS.filter((flag) => flags.has(flag)).join(' ')
  return known || (arch === 'arm64' ? 'neon' : undefined)
}

export function readHardware(): Hardware {
  const { runtime, version } = engineInfo()
  const cpuinfo = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : undefined
  return {
    platform: `${process.platform}-${process.arch}`,
    cpu: (cpus()[0]?.model ?? 'unknown').slice(0, 200),
    cores: availableParallelism(),
    memoryBytes: memoryLimit(),
    runtime: `${runtime} ${version}`,
    isa: isaOf(cpuinfo, process.arch),
    threads: 1,
  }
}
