import { CAR_TYPE, RAW_TYPE } from './answers.ts'

/** How an asker rates media types: 0 for never, 1 for best; undefined where the header does not name them. */
type Ratings = Map<string, number>

/** Reads an Accept header (RFC 9110, 12.5.1), less the parameters of its types. A weight that is none counts as not given. */
function ratingsOf(accept: string): Ratings {
  const ratings: Ratings = new Map()
  for (const part of accept.toLowerCase().split(',')) {
    const [type = '', ...parameters] = part.split(';').map((each) => each.trim())
    const weight = parameters.find((each) => each.startsWith('q='))?.slice(2)
    const rating = weight !== undefined && /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(weight) ? Number(weight) : 1
    if (type !== '') ratings.set(type, Math.max(rating, ratings.get(type) ?? 0))
  }
  return ratings
}

/**
 * The form that an Accept header wants most: a block or a CAR where it names one and rates nothing else higher. The type of a file is
 * not known before it is read, so all other types count as wishes for it.
 */
export function formOf(accept: string): 'file' | 'raw' | 'car' {
  const { [RAW_TYPE]: raw = 0, [CAR_TYPE]: car = 0, ...others } = Object.fromEntries(ratingsOf(accept))
  if (Math.max(raw, car) <= 0 || Math.max(raw, car) < Math.max(0, ...Object.values(others))) return 'file'
  return raw >= car ? 'raw' : 'car'
}

/** Whether a list is wanted as JSON: where it is named, and pages are not rated higher. */
export function prefersJson(accept: string): boolean {
  const ratings = ratingsOf(accept)
  const json = ratings.get('application/json') ?? 0
  return json > 0 && json >= (ratings.get('text/html') ?? ratings.get('text/*') ?? ratings.get('*/*') ?? 0)
}
