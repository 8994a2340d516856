import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { PinGoError } from '@pingo/wire'
import { artifact } from '../compile/artifacts.ts'
import { CONTRACTS_FOLDER, compile } from '../compile/compile.ts'
import { CONTRACTS, type ContractName } from '../compile/contracts.ts'
import { EQUIVALENTS, type Equivalent } from './equivalents.ts'
import { type Mutant, mutantsOf } from './mutate.ts'
import { suiteOf } from './suites.ts'

/**
 * What became of a mutant. `killed`: a test failed. `survived`: all passed. `same`: the compiler made the same code of it, or code
 * that another mutant had. `broken`: it doesn't compile. `equivalent`: it can't be told from the source, and `equivalents.ts` says
 * why. `slow`: its tests did not end in time, so that nothing is known.
 */
export type Verdict = 'killed' | 'survived' | 'same' | 'broken' | 'equivalent' | 'slow'

/** A mutant and what became of it; `by` names the first test that failed. */
export interface Judged extends Omit<Mutant, 'text'> {
  id: string
  verdict: Verdict
  by?: string
}

export interface MutationOptions {
  /** Only sources whose path begins so, such as `jetton/`. */
  contract?: string
  /** Only those that this accepts. */
  only?(mutant: Mutant): boolean
  /** At most so many mutants, drawn from all by lot. */
  limit?: number
  /** Mutants that are tested at once; default 2. */
  parallel?: number
  /**
   * A file of lines that keeps verdicts: a second run takes up where the first one stopped. What was killed is believed to die again
   * (tests grow); whatever else became of a mutant is judged anew. Without the file all are.
   */
  journal?: string
  /** Told of each verdict as it falls. */
  onJudged?(judged: Judged): void
}

/** Tests of one mutant that take longer than this are given up, milliseconds: ten times of what they take on a busy machine. */
const DEADLINE = 180_000

/** Random sequences per mutant: enough to notice, few enough for hundreds of mutants. */
const PINGO_SEQUENCES = '12'

/** Sources that are written by a program, or judged by nothing but names. */
const GENERATED = new Set(['messages.tolk', 'exits.tolk'])

/** The sources in Tolk that can be mutated. */
export function sources(): string[] {
  return readdirSync(CONTRACTS_FOLDER, { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.tolk') && !GENERATED.has(file))
    .sort()
}

/** Mutates the sources one change at a time and runs the contracts' own tests against each. */
export async function runMutants(options: MutationOptions = {}): Promise<Judged[]> {
  const mutants = sample(
    sources()
      .filter((file) => file.startsWith(options.contract ?? ''))
      .flatMap((file) => mutantsOf(file, readFileSync(join(CONTRACTS_FOLDER, file), 'utf8')))
      .filter((mutant) => options.only?.(mutant) ?? true),
    options.limit ?? Number.POSITIVE_INFINITY,
  )
  const users = await usersOfSources()
  const known = readJournal(options.journal)
  const seen = new Map<string, string>()
  const folder = mkdtempSync(join(tmpdir(), 'pingo-mutants-'))
  const judged: Judged[] = new Array(mutants.length)
  let next = 0
  const worker = async () => {
    for (let index = next++; index < mutants.length; index = next++) {
      const mutant = mutants[index] as Mutant
      const result = await judge(mutant, users.get(mutant.file) ?? [], known, seen, folder)
      judged[index] = result
      if (options.journal && !known.has(result.id)) appendFileSync(options.journal, `${JSON.stringify(result)}\n`)
      options.onJudged?.(result)
    }
  }
  try {
    await Promise.all(Array.from({ length: options.parallel ?? 2 }, worker))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return judged
}

/** The share of mutants that were killed, of all that differ and could be judged. */
export function score(judged: readonly Judged[]): { killed: number; counted: number; share: number } {
  const killed = judged.filter(({ verdict }) => verdict === 'killed').length
  const counted = killed + judged.filter(({ verdict }) => verdict === 'survived' || verdict === 'slow').length
  return { killed, counted, share: counted === 0 ? 0 : killed / counted }
}

async function judge(
  mutant: Mutant,
  contracts: readonly ContractName[],
  known: ReadonlyMap<string, Judged>,
  seen: Map<string, string>,
  folder: string,
): Promise<Judged> {
  const { text, ...words } = mutant
  const id = idOf(mutant)
  const verdict = (said: Verdict, by?: string): Judged => ({ ...words, id, verdict: said, ...(by ? { by } : {}) })
  const before = known.get(id)
  if (before) return before
  const codes: Record<string, string> = {}
  const hashes: string[] = []
  try {
    for (const name of contracts) {
      const { code, hash } = await compile(name, (file, original) => (file === mutant.file ? text : original))
      if (hash === artifact(name).hash) continue
      codes[name] = code
      hashes.push(hash)
    }
  } catch (error) {
    if (error instanceof PinGoError && error.code === 'CHAIN_COMPILE') return verdict('broken')
    throw error
  }
  if (hashes.length === 0) return verdict('same')
  const twin = seen.get(hashes.join())
  if (twin !== undefined) return verdict('same', twin)
  seen.set(hashes.join(), id)
  const reason = EQUIVALENTS.find((each) => isMeant(each, mutant))
  if (reason) return verdict('equivalent', reason.because)

  const file = join(folder, `${id}.json`)
  writeFileSync(file, JSON.stringify(codes))
  for (const tests of suiteOf(mutant.file)) {
    const failed = await firstFailure(tests, file)
    if (failed === 'slow') return verdict('slow')
    if (failed) return verdict('killed', failed.name)
  }
  return verdict('survived')
}

/** Runs a file of tests against the codes in a file, and stops at the first failure. */
async function firstFailure(tests: string, codes: string): Promise<{ name: string } | 'slow' | undefined> {
  const child = spawn(
    process.execPath,
    [
      '--import',
      join(import.meta.dirname, 'preload.ts'),
      '--test',
      '--test-isolation=none',
      '--test-reporter=tap',
      tests,
    ],
    {
      env: {
        ...process.env,
        PINGO_MUTANT_CODES: codes,
        // nearly half of what a test that fails at once takes is the reading of its modules
        NODE_COMPILE_CACHE: join(dirname(codes), 'modules'),
        PINGO_SHRINK: '0',
        PINGO_SEQUENCES,
        NODE_TEST_CONTEXT: undefined,
      },
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  )
  let slow = false
  const timer = setTimeout(() => {
    slow = true
    child.kill('SIGKILL')
  }, DEADLINE)
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  let text = ''
  let failed: { name: string } | undefined
  for await (const part of child.stdout.setEncoding('utf8')) {
    text += part
    const match = /^\s*not ok \d+ - (.*)$/m.exec(text)
    if (match && !failed) {
      failed = { name: match[1] as string }
      child.kill('SIGKILL')
    }
  }
  const code = await ended
  clearTimeout(timer)
  if (failed) return failed
  if (slow) return 'slow'
  return code === 0 ? undefined : { name: 'the tests did not begin' }
}

/** Which contracts a source is part of: asked of the compiler. */
async function usersOfSources(): Promise<Map<string, ContractName[]>> {
  const users = new Map<string, ContractName[]>()
  for (const name of Object.keys(CONTRACTS) as ContractName[]) {
    const read = new Set<string>()
    await compile(name, (file, text) => {
      read.add(file.replaceAll('\\', '/'))
      return text
    })
    for (const file of read) users.set(file, [...(users.get(file) ?? []), name])
  }
  return users
}

/** The same change of the same source has the same name in every run. */
function idOf(mutant: Mutant): string {
  return createHash('sha256').update(mutant.file).update(mutant.text).digest('hex').slice(0, 16)
}

function isMeant({ file, line, under, before, after }: Equivalent, mutant: Mutant): boolean {
  if (file !== mutant.file || before !== mutant.before || after !== mutant.after) return false
  const lines = readFileSync(join(CONTRACTS_FOLDER, file), 'utf8').split('\n')
  const above = lines.slice(Math.max(0, mutant.line - 4), mutant.line - 1).join('\n')
  return (lines[mutant.line - 1] ?? '').includes(line) && above.includes(under ?? '')
}

function readJournal(path: string | undefined): Map<string, Judged> {
  const known = new Map<string, Judged>()
  if (!path || !existsSync(path)) return known
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (!line.endsWith('}')) continue
    const judged = JSON.parse(line) as Judged
    // what stands in the list of equivalents may change, and a slow one gets another chance
    if (judged.verdict === 'killed' || judged.verdict === 'broken') known.set(judged.id, judged)
  }
  return known
}

/** So many of the mutants, drawn by their names: the same ones in every run, and of a source that did not change whatever others do. */
function sample(all: readonly Mutant[], most: number): Mutant[] {
  if (all.length <= most) return [...all]
  const drawn = new Set(all.map(idOf).sort().slice(0, most))
  return all.filter((mutant) => drawn.has(idOf(mutant)))
}
