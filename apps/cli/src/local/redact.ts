import { homedir, hostname, userInfo } from 'node:os'

const LEFT_OUT = '[left out]'
const SECRET_NAMES = /token|secret|password|authorization|cookie|ticket|private|\bkey\b/i
const PATTERNS: [pattern: RegExp, replacement: string][] = [
  [/\bBearer\s+[\w.~+/=-]+/gi, `Bearer ${LEFT_OUT}`],
  [/([?&#](?:token|key|access_token|auth)=)[^&\s"']+/gi, `$1${LEFT_OUT}`],
  [/\b(?:12D3KooW|16Uiu2HA)[1-9A-HJ-NP-Za-km-z]{30,}/g, '[peer]'],
  [/\b(?:\d{1,3}\.){3}\d{1,3}\b/g, '[address]'],
  [
    /(?<![\w:])(?:(?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{1,4}|(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?)(?![\w:])/gi,
    '[address]',
  ],
  [/\/(dns[46]?|dnsaddr)\/[^/\s"']+/g, '/$1/[address]'],
  [/\b(https?|wss?):\/\/[^/\s"':#]+/g, '$1://[address]'],
  [/[\w.+-]+@[\w-]+\.[\w.]+/g, '[mail]'],
]
/** Long words of random letters, which keys and tokens are; content addresses (CIDs) begin with baf. */
const RANDOM_WORD = /(?<![\w/+-])(?!baf)(?=[\w+/-]*[0-9])(?=[\w+/-]*[A-Za-z])[A-Za-z0-9_+-]{32,}={0,2}(?![\w])/g

/** A value for eyes that are not its owner's: no secrets by name, by looks or as given, no addresses, no names of people and machines. */
export function redact(value: unknown, secrets: readonly string[] = []): unknown {
  const names = [homedir(), userInfo().username, hostname()].filter((name) => name.length > 2 && name !== 'root')
  const text = (plain: string): string => {
    let result = plain
    for (const secret of secrets) if (secret.length >= 8) result = result.replaceAll(secret, LEFT_OUT)
    for (const [pattern, replacement] of PATTERNS) result = result.replace(pattern, replacement)
    result = result.replace(RANDOM_WORD, LEFT_OUT)
    for (const name of names) result = result.replaceAll(name, '[owner]')
    return result
  }
  const walk = (part: unknown, key = ''): unknown => {
    if (part === null || typeof part === 'number' || typeof part === 'boolean') return part
    if (SECRET_NAMES.test(key)) return LEFT_OUT
    if (typeof part === 'string') return text(part)
    if (Array.isArray(part)) return part.map((each) => walk(each))
    if (typeof part === 'object' && part)
      return Object.fromEntries(Object.entries(part).map(([name, each]) => [text(name), walk(each, name)]))
    return undefined
  }
  return walk(value)
}
