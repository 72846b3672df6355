/**
 * Watches the bytes that an MQTT client sends and says stop before anybody buffers them: a parser that waits for the end
 * of a declared 256 MB packet would hold 256 MB for a stranger.
 *
 * Reads fixed headers only (MQTT 3.1.1, 2.2): type and flags, then the remaining length in one to four bytes of seven bits.
 */
export interface PacketGauge {
  /** Reads the next bytes; a sentence where the connection is to be closed. */
  push(bytes: Uint8Array): string | undefined
  /** CONNECT was accepted: from now on the limits of a known client hold. */
  accept(): void
}

const publish = 3
const connect = 1
/** Everything but PUBLISH is small; a SUBSCRIBE of many filters is the largest. */
const otherPacketBytesMax = 64 * 1024

export const createPacketGauge = ({
  beforeConnectBytesMax,
  packetBytesMax,
}: {
  beforeConnectBytesMax: number
  packetBytesMax: number
}): PacketGauge => {
  let accepted = false
  let total = 0
  let first = true
  let type = 0
  /** Bytes of the length seen so far; −1 while the type byte is awaited. */
  let lengthBytes = -1
  let length = 0
  let body = 0
  return {
    push(bytes) {
      total += bytes.length
      if (!accepted && total > beforeConnectBytesMax)
        return `sent more than ${beforeConnectBytesMax} bytes before CONNECT was accepted`
      let i = 0
      while (i < bytes.length) {
        if (body > 0) {
          const skip = Math.min(body, bytes.length - i)
          body -= skip
          i += skip
          continue
        }
        const byte = bytes[i++] ?? 0
        if (lengthBytes === -1) {
          type = byte >> 4
          if (first && type !== connect) return 'sent something else before CONNECT'
          first = false
          lengthBytes = 0
          length = 0
          continue
        }
        length += (byte & 0x7f) * 128 ** lengthBytes
        lengthBytes++
        if (byte & 0x80) {
          if (lengthBytes === 4) return 'sent a packet length of more than four bytes'
          continue
        }
        const limit = type === publish ? packetBytesMax : type === connect ? beforeConnectBytesMax : otherPacketBytesMax
        if (length > limit) return `announced a packet of ${length} bytes, more than the ${limit} allowed`
        body = length
        lengthBytes = -1
      }
      return undefined
    },
    accept() {
      accepted = true
    },
  }
}
