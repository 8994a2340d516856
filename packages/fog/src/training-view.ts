import {
  GroupSchema,
  type JobSubmission,
  LoraSchema,
  type LossInput,
  type LossSettings,
  MAX_ACCUMULATE,
  MAX_GROUPS,
  type Optimizer,
  PatternsSchema,
  type ProgramManifest,
  type Schedule,
  type TrainingView,
} from '@pingo/wire'
import { z } from 'zod'

/** Longest text of one field, in characters; the schema's bound leaves room for the ellipsis. */
const MAX_TEXT = 240
/** Names and numbers of a list that are told. */
const MAX_LISTED = 4

const NAMES: Record<Optimizer['kind'], string> = {
  sgd: 'SGD',
  adam: 'Adam',
  adamw: 'AdamW',
  lion: 'Lion',
  adafactor: 'Adafactor',
  muon: 'Muon',
}

/** What only the record of the user's job file says as they wrote it: a program's groups are settled ones, its adapters are weights. */
const RecordSchema = z.object({
  model: z.object({ lora: LoraSchema.optional().catch(undefined) }).catch({}),
  train: z
    .object({
      accumulate: z.int().min(1).max(MAX_ACCUMULATE).optional().catch(undefined),
      freeze: PatternsSchema.optional().catch(undefined),
      groups: z.array(GroupSchema).max(MAX_GROUPS).optional().catch(undefined),
    })
    .catch({}),
})

/** How a job trains, in words. What the program says is taken from it; adapters, groups, frozen weights and accumulation from the job's record. */
export function trainingView(submission: JobSubmission, program: ProgramManifest): TrainingView {
  const { learningRate, schedule, spec } = submission
  const { model, train } = RecordSchema.parse({ model: spec?.model, train: spec?.train })
  const { lora } = model
  const { accumulate = 1, freeze = [], groups = [] } = train
  const { optimizer, batch } = program
  const frozen = [...freeze, ...groups.flatMap((group) => (group.freeze ? group.match : []))]
  return {
    loss: inWords(lossWords(program.loss)),
    optimizer: inWords(optimizerWords(optimizer, learningRate, groups.length)),
    schedule: inWords(scheduleWords(schedule)),
    ...(accumulate > 1 && batch % accumulate === 0
      ? { accumulation: `${accumulate} parts of ${batch / accumulate}` }
      : {}),
    ...(lora
      ? {
          adapters: inWords([
            `LoRA rank ${lora.rank}`,
            lora.alpha !== undefined && `alpha ${lora.alpha}`,
            lora.match && `on ${listed(lora.match)}`,
          ]),
        }
      : {}),
    ...(frozen.length ? { frozen: inWords([listed(frozen)]) } : {}),
  }
}

type Words = (string | false | undefined)[]

function lossWords(given: LossInput): Words {
  const loss = typeof given === 'string' ? ({ kind: given } as LossSettings) : given
  const name = loss.kind === 'output' ? "the model's own" : loss.kind.replaceAll('_', ' ')
  switch (loss.kind) {
    case 'cross_entropy':
      return [
        name,
        loss.smoothing !== undefined && loss.smoothing > 0 && `smoothing ${loss.smoothing}`,
        loss.ignoreIndex !== undefined && `class ${loss.ignoreIndex} ignored`,
      ]
    case 'bce':
      return [name, loss.positiveWeight !== undefined && `positives × ${listed([loss.positiveWeight].flat())}`]
    case 'huber':
      return [name, loss.delta !== undefined && `delta ${loss.delta}`]
    case 'smooth_l1':
      return [name, loss.beta !== undefined && `beta ${loss.beta}`]
    default:
      return [name]
  }
}

function optimizerWords(o: Optimizer, learningRate: number, groups: number): Words {
  const momentum = 'momentum' in o ? o.momentum : 0
  return [
    NAMES[o.kind],
    `learning rate ${learningRate}`,
    momentum > 0 && `momentum ${momentum}${o.kind === 'sgd' && o.nesterov ? ' (Nesterov)' : ''}`,
    o.weightDecay > 0 && `weight decay ${o.weightDecay}`,
    o.clip !== undefined && `clip ${o.clip}`,
    o.clipValue !== undefined && `clip value ${o.clipValue}`,
    groups > 0 && `${groups} ${groups === 1 ? 'group' : 'groups'}`,
  ]
}

function scheduleWords({ kind, warmup, floor, decay = 0.2, milestones = [0.5, 0.75], gamma = 0.1 }: Schedule): Words {
  return [
    kind === 'step' ? `step × ${gamma} at ${listed(milestones.map(percent))}` : kind,
    kind === 'wsd' && `falls over the last ${percent(decay)}`,
    (kind === 'cosine' || kind === 'linear' || kind === 'wsd') && floor > 0 && `down to ${percent(floor)}`,
    warmup > 0 && `warm-up ${percent(warmup)}`,
  ]
}

const percent = (fraction: number): string => `${Number((fraction * 100).toFixed(2))} %`

/** The first few, and how many more there are. */
function listed(items: readonly (string | number)[]): string {
  const more = items.length - MAX_LISTED
  return `${items.slice(0, MAX_LISTED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

/** Parts joined by commas, of bounded length and without control characters: names come from outside and go to terminals. */
function inWords(parts: Words): string {
  const text = parts.filter(Boolean).join(', ')
  return `${text.slice(0, MAX_TEXT)}${text.length > MAX_TEXT ? '…' : ''}`.replaceAll(/\p{C}/gu, '?')
}
