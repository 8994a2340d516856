/**
 * Settings that the design knows and this version does not honour: refused with a sentence, never ignored.
 * Keys are paths in the job file.
 */
const NOT_YET: Record<string, string> = {
  'resources.cpu': "'resources.cpu' is not honoured yet: a contributor gives what its owner lends; remove it",
  'service.class': "'service.class' is not honoured yet: every job runs at the same class; remove it",
  'service.retries': "'service.retries' is not honoured yet: lost work is always leased again; remove it",
  price: "'price' is not honoured yet: jobs cost nothing; remove it",
  privacy: "'privacy' is not a setting of its own: write private: true in data, which encrypts them, and remove it",
}

const TYPES_NOT_YET = new Set(['infer', 'sweep', 'federated'])

/** The sentence for a setting that is known and not honoured yet. */
export const notHonoured = (path: string): string | undefined => NOT_YET[path]

/** The sentence for a value that is known and not honoured yet. */
export function valueNotHonoured(path: string, value: unknown): string | undefined {
  if (path === 'type' && typeof value === 'string' && TYPES_NOT_YET.has(value))
    return `jobs of type '${value}' are not honoured yet; only 'train' is`
  if (path === 'service.trust' && typeof value === 'number' && value > 0 && value < 1)
    return "'service.trust' above 0 is not honoured yet: contributions are not checked; set it to 0 or remove it"
  return undefined
}
