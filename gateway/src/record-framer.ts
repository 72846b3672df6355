/** Cuts a stream of bytes into records at a delimiter. What exceeds the limit is passed over up to the next delimiter, and told. */
export interface FramedRecord {
  /** Without the delimiter; the first bytes alone where the record is too long. */
  bytes: Uint8Array
  tooLong: boolean
}

export interface RecordFramer {
  /** The records that these bytes complete, in their order. */
  push(bytes: Uint8Array): FramedRecord[]
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
      const records: FramedRecord[] = []
      const all = open.length === 0 ? Buffer.from(bytes) : Buffer.concat([open, bytes])
      let at = 0
      for (let end = all.indexOf(delimiter); end >= 0; end = all.indexOf(delimiter, at)) {
        const tooLong = passing !== undefined || end - at > recordBytesMax
        const bytes = passing ?? all.subarray(at, tooLong ? Math.min(end, at + keptBytesMax) : end)
        records.push({ bytes, tooLong })
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
      return records
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
