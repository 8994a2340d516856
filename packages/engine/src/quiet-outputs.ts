/**
 * onnxruntime-node writes results to tensors handed in as fetches, and then copies every one of them once more into a new array that it returns
 * (`OrtValueToNapiValue`): for a training step a copy of all gradients, made and thrown away each time. It converts results in the order of
 * the graph's outputs and gives up at the first that is no tensor, when all have long been written. So a graph whose results have places gets an
 * empty sequence as its first output, and the complaint about it says that the run is done.
 */
const NAME = '⟨written⟩'
const COMPLAINT = /non tensor type/i

const text = (value: string): number[] => {
  const bytes = [...new TextEncoder().encode(value)]
  return [bytes.length, ...bytes]
}
/** A field of protobuf that holds bytes; all here are shorter than 128. */
const field = (number: number, body: number[]): number[] => [(number << 3) | 2, ...body]
const message = (body: number[]): number[] => [body.length, ...body]

/** ModelProto { graph: { node { output, op_type: "SequenceEmpty" }, output { name } } }, by the field numbers of onnx.proto3. */
const MARKER = Uint8Array.from(
  field(
    7,
    message([
      ...field(1, message([...field(2, text(NAME)), ...field(4, text('SequenceEmpty'))])),
      ...field(12, message(field(1, text(NAME)))),
    ]),
  ),
)

/** The graph with the marker as its first output: parts of a protobuf message that are written one after the other are one message. */
export function marked(graph: Uint8Array): Uint8Array {
  const whole = new Uint8Array(MARKER.length + graph.length)
  whole.set(MARKER)
  whole.set(graph, MARKER.length)
  return whole
}

export const isMarker = ({ name }: { name: string }): boolean => name === NAME

/** The fetches of a run whose results all have places. */
export const withMarker = <T>(places: Record<string, T>): Record<string, T | null> => ({ [NAME]: null, ...places })

/** Whether an error of a run says that all results are written. */
export const saysWritten = (error: unknown): boolean => error instanceof Error && COMPLAINT.test(error.message)
