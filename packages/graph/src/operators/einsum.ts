import type { GraphBuilder } from '../builder.ts'
import { string, stringOf } from '../model.ts'
import type { InferContext, Operator, Value } from '../operator.ts'
import { mismatch, range } from '../shape.ts'
import { tensorOf } from '../tensors.ts'

interface Equation {
  terms: string[]
  output: string
}

/** The equation with an explicit output and its ellipsis spelt out by upper-case letters, as ONNX's rule says. */
function equationOf({ inputs, attributes }: InferContext): Equation {
  const text = stringOf(attributes, 'equation', '').replaceAll(' ', '')
  const [left = '', right] = text.split('->')
  const terms = left.split(',')
  if (terms.length !== inputs.length) throw mismatch(`the equation '${text}' is for ${terms.length} inputs`)
  const spare = [...'ZYXWVUTS'].filter((letter) => !text.includes(letter))
  const hidden = Math.max(
    0,
    ...terms.map((term, i) => (term.includes('...') ? inputs[i]!.shape.length - (term.length - 3) : 0)),
  )
  const batch = spare.slice(0, hidden).join('')
  const spelt = terms.map((term, i) =>
    term.replace('...', batch.slice(hidden - (inputs[i]!.shape.length - (term.length - 3)))),
  )
  if (right !== undefined) return { terms: spelt, output: right.replace('...', batch) }
  const letters = [...spelt.join('')].filter((c) => !batch.includes(c))
  const once = letters.filter((c) => letters.indexOf(c) === letters.lastIndexOf(c)).sort()
  return { terms: spelt, output: batch + once.join('') }
}

function sizesOf(inputs: InferContext['inputs'], { terms }: Equation): Map<string, number> {
  const sizes = new Map<string, number>()
  terms.forEach((term, i) => {
    if (term.length !== inputs[i]!.shape.length) throw mismatch(`the term '${term}' is for another rank`)
    ;[...term].forEach((letter, axis) => {
      const n = inputs[i]!.shape[axis]!
      const known = sizes.get(letter) ?? 1
      if (known !== 1 && n !== 1 && known !== n) throw mismatch(`the letter '${letter}' stands for ${known} and ${n}`)
      sizes.set(letter, Math.max(known, n))
    })
  })
  return sizes
}

/**
 * A letter that a term repeats (a diagonal) becomes two that a unit matrix ties together, so that the gradient is a sum of products
 * too.
 */
function withoutDiagonals(b: GraphBuilder, equation: Equation, sizes: ReadonlyMap<string, number>) {
  const spare = [...'abcdefghijklmnopqrstuvwxyz'].filter((c) => !equation.terms.some((term) => term.includes(c)))
  const ties: string[] = []
  const masks: Value[] = []
  const terms = equation.terms.map((term) =>
    [...term]
      .map((letter, i) => {
        if (term.indexOf(letter) === i) return letter
        const other = spare.pop()
        if (other === undefined) throw mismatch('the equation has too many letters')
        const n = sizes.get(letter)!
        const unit = range(n * n).map((at) => +(at % (n + 1) === 0))
        ties.push(`${letter}${other}`)
        masks.push(b.constant(tensorOf('float32', [n, n], unit)))
        return other
      })
      .join(''),
  )
  return { terms: [...terms, ...ties], masks }
}

/** dL/d operand `at`: the equation with that operand and the output swapped; letters that it alone has are repeated. */
function operandGradient(b: GraphBuilder, inputs: readonly Value[], equation: Equation, at: number, g: Value): Value {
  const term = equation.terms[at]!
  const others = equation.terms.filter((_, i) => i !== at)
  const reachable = [...term].filter(
    (letter) => equation.output.includes(letter) || others.some((t) => t.includes(letter)),
  )
  const left = [equation.output, ...others].join(',')
  const part = b.one('Einsum', [g, ...inputs.filter((_, i) => i !== at)], {
    equation: string(`${left}->${reachable.join('')}`),
  })
  const shape = inputs[at]!.shape
  const open = b.reshape(
    part,
    [...term].map((letter) => (reachable.includes(letter) ? part.shape[reachable.indexOf(letter)]! : 1)),
  )
  const wide = [...term].map((letter, i) => (reachable.includes(letter) ? open.shape[i]! : shape[i]!))
  return b.unbroadcast(b.expand(open, wide), shape)
}

/** Sums of products by Einstein's notation. */
export const einsum: Record<string, Operator> = {
  Einsum: {
    infer: (c) => {
      const equation = equationOf(c)
      const sizes = sizesOf(c.inputs, equation)
      return [{ dtype: c.inputs[0]!.dtype, shape: [...equation.output].map((letter) => sizes.get(letter) ?? 1) }]
    },
    lower: (c) => {
      const equation = equationOf(c)
      const { terms, masks } = withoutDiagonals(c.b, equation, sizesOf(c.inputs, equation))
      const text = `${terms.join(',')}->${equation.output}`
      return [c.b.one('Einsum', [...c.inputs, ...masks], { equation: string(text) })]
    },
    gradient: ({ b, op, attributes, inputs, grads: [g], wants }) => {
      const equation = equationOf({ op, inputs, attributes })
      return inputs.map((_, i) => (wants[i] ? operandGradient(b, inputs as Value[], equation, i, g!) : undefined))
    },
    flops: (c) => 2 * [...sizesOf(c.inputs, equationOf(c)).values()].reduce((product, n) => product * n, 1),
  },
}
