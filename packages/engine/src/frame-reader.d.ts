export declare const MAGIC: number
export declare const PREFIX_BYTES: number

export declare class FrameReader {
  waiting: boolean
  constructor(place: (bytes: number) => Uint8Array | undefined, whole: (body: Uint8Array) => void)
  feed(chunk: Uint8Array): number
}
