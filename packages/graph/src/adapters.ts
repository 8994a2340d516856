import { type LoraAdapter, LoraAdaptersSchema, PinGoError } from '@pingo/wire'
import type { Model } from './model.ts'

/** Where a model keeps the list of its adapters, as JSON. */
export const METADATA_KEY = 'pingo.lora'

/** Names of the two matrices that are trained beside a weight. */
export const nameA = (weight: string) => `${weight}.lora_A`
export const nameB = (weight: string) => `${weight}.lora_B`

/** The adapters of a model, as its metadata tell. @throws PinGoError LORA_INVALID */
export function adaptersOf(model: Model): LoraAdapter[] | undefined {
  const text = model.metadata[METADATA_KEY]
  if (text === undefined) return undefined
  const invalid = (cause: unknown) =>
    new PinGoError('LORA_INVALID', "The list of the model's adapters does not fit the model.", {
      hint: 'Use the file as it was written, or the model without adapters.',
      cause,
    })
  try {
    const adapters = LoraAdaptersSchema.parse(JSON.parse(text))
    const missing = adapters.find(({ weight }) =>
      [weight, nameA(weight), nameB(weight)].some((name) => !model.graph.initializers.has(name)),
    )
    if (missing) throw new Error(`'${missing.weight}' lacks a tensor`)
    return adapters
  } catch (cause) {
    throw invalid(cause)
  }
}

/** Names of the tensors that a model with adapters trains; undefined for a model without. @throws PinGoError LORA_INVALID */
export const adapterNames = (model: Model): ReadonlySet<string> | undefined => {
  const adapters = adaptersOf(model)
  return adapters && new Set(adapters.flatMap(({ weight }) => [nameA(weight), nameB(weight)]))
}
