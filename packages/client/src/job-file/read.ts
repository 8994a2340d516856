import { open } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { PinGoError } from '@pingo/wire'
import { isMap, isPair, isScalar, LineCounter, type Node, parseDocument } from 'yaml'
import { type Problem, problemsOf } from './problems.ts'
import { type JobFile, JobFileSchema } from './schema.ts'
import { type Job, settle } from './settle.ts'

/** Longest job file that is read, bytes. */
export const MAX_JOB_FILE_BYTES = 256 << 10
const MAX_PROBLEMS_SHOWN = 5

/**
 * Reads a job file (YAML 1.2 or JSON) and settles all defaults. Paths in it are taken relative to its folder.
 * @throws PinGoError JOB_FILE_UNREADABLE; JOB_FILE_INVALID with a sentence such as
 * `job.yaml:4:3: unknown setting 'epoch' in train; did you mean 'epochs'?` and `details` {file, line, column, path}
 */
export async function readJobFile(path: string): Promise<Job> {
  const file = resolve(path)
  return parseJobFile(await readText(file, path), { file, shown: path })
}

/**
 * {@link readJobFile} for text that is already there.
 * @param where.file absolute path: paths in the job are relative to its folder
 * @param where.shown the file's name in errors
 */
export function parseJobFile(text: string, where: { file: string; shown?: string }): Job {
  const shown = where.shown ?? basename(where.file)
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true })
  const fault = document.errors[0] ?? document.warnings[0]
  if (fault) {
    const { line, col } = lines.linePos(fault.pos[0])
    throw invalid(shown, [{ line, column: col, path: [], sentence: lowerFirst(fault.message.replace(/\.$/, '')) }])
  }
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: 0 })
  } catch (cause) {
    throw new PinGoError('JOB_FILE_INVALID', `${shown}: write each value out; anchors and aliases are not read.`, {
      cause,
    })
  }
  const place = (problem: Problem) => {
    const offset = offsetOf(document.contents, problem)
    const { line, col } = offset === undefined ? { line: 1, col: 1 } : lines.linePos(offset)
    return { line, column: col, path: problem.path, sentence: problem.sentence }
  }
  const parsed = JobFileSchema.safeParse(value)
  if (!parsed.success) throw invalid(shown, problemsOf(parsed.error.issues, value).map(place))
  const settled = settle(parsed.data, { folder: dirname(where.file), name: nameOf(where.file) })
  if ('problems' in settled) throw invalid(shown, settled.problems.map(place))
  return settled.job
}

/**
 * A job written as an object, checked as a file is; paths are relative to `folder`.
 * @throws PinGoError JOB_FILE_INVALID
 */
export function parseJob(value: JobFile, o: { folder?: string } = {}): Job {
  const parsed = JobFileSchema.safeParse(value)
  const placed = (problems: Problem[]) => problems.map((p) => ({ ...p, line: undefined, column: undefined }))
  if (!parsed.success) throw invalid('job', placed(problemsOf(parsed.error.issues, value)))
  const settled = settle(parsed.data, { folder: resolve(o.folder ?? '.'), name: 'job' })
  if ('problems' in settled) throw invalid('job', placed(settled.problems))
  return settled.job
}

async function readText(file: string, shown: string): Promise<string> {
  const unreadable = (why: string, hint: string, cause?: unknown) =>
    new PinGoError('JOB_FILE_UNREADABLE', `The job file ${shown} ${why}.`, { hint, cause })
  try {
    const handle = await open(file, 'r')
    try {
      const stat = await handle.stat()
      if (stat.isDirectory()) throw unreadable('is a folder', `Name the file in it, for example ${shown}/job.yaml.`)
      if (stat.size > MAX_JOB_FILE_BYTES)
        throw unreadable(
          `has ${stat.size} bytes, more than the ${MAX_JOB_FILE_BYTES} that are read`,
          'A job file holds settings; data and models are named by path.',
        )
      return new TextDecoder('utf-8', { fatal: true }).decode(await handle.readFile())
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (cause instanceof PinGoError) throw cause
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') throw unreadable('does not exist', 'Check the path; examples/ holds some to copy.', cause)
    if (cause instanceof TypeError && code === 'ERR_ENCODING_INVALID_ENCODED_DATA')
      throw unreadable('is not UTF-8 text', 'A job file is YAML or JSON.', cause)
    throw unreadable(`cannot be read (${code ?? (cause as Error).message})`, 'Check its permissions.', cause)
  }
}

interface Placed {
  line: number | undefined
  column: number | undefined
  path: (string | number)[]
  sentence: string
}

function invalid(shown: string, problems: Placed[]): PinGoError {
  const ordered = problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
  const words = ordered.map(({ line, column, sentence }) =>
    line === undefined ? `${shown}: ${sentence}` : `${shown}:${line}:${column}: ${sentence}`,
  )
  const first = ordered[0]!
  const rest = words.slice(1, MAX_PROBLEMS_SHOWN)
  const end = (sentence: string) => (/[.?!]$/.test(sentence) ? sentence : `${sentence}.`)
  return new PinGoError('JOB_FILE_INVALID', end(words[0]!), {
    ...(rest.length ? { hint: `Also: ${end(rest.join('; '))}` } : {}),
    details: { file: shown, line: first.line, column: first.column, path: first.path.join('.'), problems: words },
  })
}

/** Offset of the key or value that a problem speaks of; of the nearest place around it when it is not in the file. */
function offsetOf(root: Node | null, problem: Problem): number | undefined {
  let node: Node | null = root
  let offset = root?.range?.[0]
  for (const [depth, part] of problem.path.entries()) {
    const isLast = depth === problem.path.length - 1
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === part)
      if (!pair) break
      const key = pair.key as Node
      node = pair.value as Node | null
      offset = isLast && problem.at === 'value' && node?.range ? node.range[0] : key.range?.[0]
    } else if (node && 'items' in node && typeof part === 'number') {
      const item = (node.items as Node[])[part]
      if (!item) break
      node = item
      offset = item.range?.[0] ?? offset
    } else break
  }
  return offset
}

function nameOf(file: string): string {
  const base = basename(file).replace(/\.(ya?ml|json)$/i, '')
  return (base === 'job' ? basename(dirname(file)) : base).slice(0, 200) || 'job'
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1)
