/** Cuts a stream of bytes into records at a delimiter. What exceeds the limit is passed over up to the next delimiter, and told. */
export interface Framed {
  /** Whole records, without their delimiters. */
  records: Uint8Array[]
  /** The first bytes of records that are too long. */
  tooLong: Uint8Array[]
}

export interface RecordFramer {
  push(bytes: Uint8Array): Framed
  /** The bytes of a record that has no end yet, given up: the framer begins anew. */
  rest(): Uint8Array
  /** Whether a record has begun. */
  isOpen(): boolean
}

const keptBytesMax = 4096

export const createRecordFramer = (delimiter: Uint8Array, recordBytesMax: number): RecordFramer => {
  let open: Buffer = Buffer.alloc(0)
  let passing: Uint8Array | undefined
  return {
    push(bytes) {
      const framed: Framed = { records: [], tooLong: [] }
      const all = open.length === 0 ? Buffer.from(bytes) : Buffer.concat([open, bytes])
      let at = 0
      for (let end = all.indexOf(delimiter); end >= 0; end = all.indexOf(delimiter, at)) {
        if (passing) framed.tooLong.push(passing)
        else if (end - at > recordBytesMax) framed.tooLong.push(all.subarray(at, at + keptBytesMax))
        else framed.records.push(all.subarray(at, end))
        passing = undefined
        at = end + delimiter.length
      }
      open = all.subarray(at)
      if (passing || open.length > recordBytesMax + delimiter.length) {
        passing ??= Uint8Array.from(open.subarray(0, keptBytesMax))
        // The last bytes may be the beginning of a delimiter.
        open = open.subarray(Math.max(0, open.length - delimiter.length + 1))
      }
      open = Buffer.from(open)
      return framed
    },
    rest() {
      const rest = passing ?? open
      open = Buffer.alloc(0)
      passing = undefined
      return rest
    },
    isOpen: () => passing !== undefined || open.length > 0,
  }
}
