import { decode, encode, PinGoError, type Signer, signedBytes, verifySignature } from '@pingo/wire'
import { z } from 'zod'
import type { ReleasePolicy } from './keys.ts'

/**
 * A release and who signed it. What it defends against, and the names of the attacks, are of TUF: Samuel, Mathewson, Cappos, Dingledine,
 * "Survivable Key Compromise in Software Update Systems", CCS 2010. Much smaller: one manifest, one set of k-of-n keys.
 */
export const MAX_RELEASE_BYTES = 4 << 20
export const MAX_RELEASE_FILES = 20_000
export const MAX_RELEASE_TOTAL_BYTES = 1 << 30
export const MAX_SIGNATURES = 16
/** A release that nobody renews is not offered for longer: who withholds newer ones is noticed. */
export const MAX_LIFETIME_MS = 90 * 86_400_000
const TYPE = 'pingo/release'
const MAX_PATH = 200
const SIGNATURE_BYTES = 64

/** major.minor.patch and nothing else, so that any two can be compared. */
export const VersionSchema = z
  .string()
  .regex(/^(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})$/, 'is not a version such as 1.4.2')
const Time = z
  .int()
  .min(0)
  .max(2 ** 48)
const PlatformSchema = z.string().regex(/^(linux|darwin|win32)-(x64|arm64)$/, 'is not a platform such as linux-x64')

/** A part of a path that means the same on every system: no `..`, no drive, no device, no hidden ending of Windows. */
const PART = /^(?!\.{1,2}$)(?!(con|prn|aux|nul|com\d|lpt\d)(\.|$))[a-z0-9@_.+-]{1,100}(?<!\.)$/i
export const PathSchema = z
  .string()
  .max(MAX_PATH)
  .refine((path) => path.split('/').every((part) => PART.test(part)), 'is not a plain relative path')

export const ReleaseFileSchema = z.strictObject({
  path: PathSchema,
  bytes: z.int().min(0).max(MAX_RELEASE_TOTAL_BYTES),
  /** Lies beside the manifest under this name. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'is not a SHA-256 in hex'),
  /** On this platform only. */
  platform: PlatformSchema.optional(),
  isExecutable: z.boolean().optional(),
})
export type ReleaseFile = z.infer<typeof ReleaseFileSchema>

export const ReleaseSchema = z
  .strictObject({
    version: VersionSchema,
    /** Older ones cannot be updated to it directly. */
    minVersion: VersionSchema,
    /** Milliseconds since epoch: not installed before, not accepted after. */
    notBefore: Time,
    expires: Time,
    /** Of all machines, those that get it now: 0.01, then 0.1, then 1, each a newly signed manifest. */
    share: z.number().min(0).max(1),
    platforms: z.array(PlatformSchema).min(1).max(6),
    /** The file that starts it. */
    entry: PathSchema,
    files: z.array(ReleaseFileSchema).min(1).max(MAX_RELEASE_FILES),
  })
  .superRefine((release, context) => {
    const fault = faultOf(release)
    if (fault) context.addIssue({ code: 'custom', message: fault })
  })
export type Release = z.infer<typeof ReleaseSchema>

/** The files of a platform. */
export const filesFor = (release: Pick<Release, 'files'>, platform: string): ReleaseFile[] =>
  release.files.filter((file) => file.platform === undefined || file.platform === platform)

interface Unchecked {
  notBefore: number
  expires: number
  platforms: string[]
  entry: string
  files: ReleaseFile[]
}

function faultOf(release: Unchecked): string | undefined {
  const life = release.expires - release.notBefore
  if (life <= 0 || life > MAX_LIFETIME_MS) return 'it must hold for 90 days at most'
  for (const platform of release.platforms) {
    const files = filesFor(release, platform)
    // some file systems know no capitals
    const paths = new Set(files.map(({ path }) => path.toLowerCase()))
    if (paths.size < files.length) return `${platform}: two files have the same path`
    for (const path of paths)
      for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1))
        if (paths.has(path.slice(0, at))) return `${platform}: a file stands where a folder must be`
    if (!files.some(({ path }) => path === release.entry)) return `${platform}: the file that starts it is not there`
    if (files.reduce((sum, { bytes }) => sum + bytes, 0) > MAX_RELEASE_TOTAL_BYTES)
      return `${platform}: it is over 1 GiB`
  }
  return undefined
}

const SignedReleaseSchema = z.strictObject({
  type: z.literal(TYPE),
  payload: z.instanceof(Uint8Array),
  signatures: z
    .array(
      z.strictObject({
        key: z.string().max(100),
        signature: z.instanceof(Uint8Array).refine((bytes) => bytes.byteLength === SIGNATURE_BYTES),
      }),
    )
    .max(MAX_SIGNATURES),
})

/** A release with the signatures of `signers`: what is put on a server. */
export async function signRelease(release: Release, signers: readonly Signer[]): Promise<Uint8Array> {
  const payload = encode(ReleaseSchema.parse(release))
  const sign = async (signer: Signer) => ({
    key: signer.peerId,
    signature: await signer.sign(signedBytes(TYPE, payload)),
  })
  return encode({ type: TYPE, payload, signatures: await Promise.all(signers.map(sign)) })
}

/** @throws PinGoError UPDATES_OFF */
export function mustHaveKeys({ threshold, keys }: ReleasePolicy): void {
  if (keys.length === 0)
    throw new PinGoError('UPDATES_OFF', 'Updates are off: this stage of development has no release keys yet.', {
      hint: 'Nothing is asked for and nothing is installed. Get a new version as you got this one.',
    })
  if (!Number.isInteger(threshold) || threshold < 1 || new Set(keys).size < threshold)
    throw new PinGoError('UPDATES_OFF', `Updates are off: ${threshold} of ${keys.length} release keys cannot sign.`)
}

/**
 * Opens a release that enough different release keys have signed. Its content is not looked at before.
 * @throws PinGoError UPDATES_OFF, MESSAGE_TOO_LARGE, MESSAGE_MALFORMED, MESSAGE_INVALID, UPDATE_UNSIGNED
 */
export async function openRelease(bytes: Uint8Array, policy: ReleasePolicy): Promise<Release> {
  mustHaveKeys(policy)
  const { payload, signatures } = decode(SignedReleaseSchema, bytes, MAX_RELEASE_BYTES)
  const signed = signedBytes(TYPE, payload)
  // by key, not by signature: who signs twice counts once
  const signers = new Set<string>()
  for (const { key, signature } of signatures)
    if (policy.keys.includes(key) && !signers.has(key) && (await verifySignature(key, signed, signature)))
      signers.add(key)
  if (signers.size < policy.threshold)
    throw new PinGoError(
      'UPDATE_UNSIGNED',
      `An update has ${signers.size} of the ${policy.threshold} signatures that it needs; it is refused.`,
      { hint: 'Where it came from may be broken or hostile. What runs now goes on.' },
    )
  return decode(ReleaseSchema, payload, MAX_RELEASE_BYTES)
}
