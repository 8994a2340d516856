import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { S3Error } from './errors.ts'

/** What an element holds: text, elements in order, or several elements of its name. Undefined leaves it out. */
export type XmlValue = string | number | boolean | undefined | XmlTree | XmlTree[]
export interface XmlTree {
  [element: string]: XmlValue
}

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'

/** @example `xml('LocationConstraint', 'eu')`, `xml('Tagging', { TagSet: '' })` */
export function xml(name: string, content: string | XmlTree, hasNamespace = true): string {
  const inside = typeof content === 'string' ? escaped(content) : elements(content)
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${name}${hasNamespace ? ` xmlns="${NAMESPACE}"` : ''}>${inside}</${name}>`
}

const elements = (tree: XmlTree): string =>
  Object.entries(tree)
    .map(([name, value]) =>
      value === undefined
        ? ''
        : Array.isArray(value)
          ? value.map((one) => element(name, one)).join('')
          : element(name, value),
    )
    .join('')

const element = (name: string, value: string | number | boolean | XmlTree): string =>
  `<${name}>${typeof value === 'object' ? elements(value) : escaped(String(value))}</${name}>`

// control characters are written as references, as S3 does; who lists such keys asks for encoding-type=url
const escaped = (text: string): string =>
  text.replace(
    /[&<>"\p{Cc}\ufffe\uffff]/gu,
    (character) => NAMED[character] ?? `&#x${character.charCodeAt(0).toString(16)};`,
  )

const NAMED: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** A parsed element: text, or elements by name, always in lists. */
export type Parsed = string | { [element: string]: Parsed[] }

const parser = new XMLParser({
  processEntities: false,
  parseTagValue: false,
  trimValues: false,
  ignoreAttributes: true,
  ignoreDeclaration: true,
  ignorePiTags: true,
  removeNSPrefix: true,
  isArray: () => true,
})

/**
 * Parses a small document. There is no DOCTYPE and no entity but the five of XML and characters by number, so nothing is fetched
 * and nothing grows.
 * @returns the content of the element `root`
 * @throws S3Error MalformedXML
 */
export function parseXml(text: string, root: string): Parsed {
  let tree: Record<string, Parsed[]>
  try {
    if (/<!(?!--)/.test(text) || XMLValidator.validate(text) !== true) throw new S3Error('MalformedXML')
    tree = parser.parse(text) as Record<string, Parsed[]>
  } catch (cause) {
    throw new S3Error('MalformedXML', undefined, { cause })
  }
  const [found, ...more] = tree[root] ?? []
  if (found === undefined || more.length > 0) throw new S3Error('MalformedXML', `The body is no ${root}.`)
  return found
}

/** The elements of a name within one, none when there are none. */
export const children = (parent: Parsed, name: string): Parsed[] =>
  typeof parent === 'string' || !Object.hasOwn(parent, name) ? [] : parent[name]!

/** The text of the element of a name, undefined when there is none. @throws S3Error MalformedXML when it holds elements */
export function text(parent: Parsed, name: string): string | undefined {
  const [child] = children(parent, name)
  if (child === undefined) return undefined
  if (typeof child !== 'string') throw new S3Error('MalformedXML', `${name} must be text.`)
  return unescaped(child)
}

const unescaped = (raw: string): string =>
  raw.replace(/&([^;&]{0,10});?/g, (_, name: string) => {
    const known = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }[name]
    if (known !== undefined) return known
    const digits = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(name)
    const code = digits?.[1] === undefined ? Number(digits?.[2]) : Number.parseInt(digits[1], 16)
    if (!(code <= 0x10ffff) || (code >= 0xd800 && code < 0xe000)) throw new S3Error('MalformedXML')
    return String.fromCodePoint(code)
  })
