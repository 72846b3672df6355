/** What a file says of itself, as it goes with its rows in `origin.attributes`: bounded, and what does not fit is counted. */
import { LIMITS } from '@penstock/frame'

export interface Attributes {
  /** The first value of a key holds, unless it was empty. */
  put(key: string, value: string): void
  get(key: string): string | undefined
  /** `undefined` where there are none. */
  all(): Record<string, string> | undefined
}

const valueCharsMax = 4 * LIMITS.nameCharsMax
const leftOutKey = 'attributes left out'

export const createAttributes = (): Attributes => {
  const had = new Map<string, string>()
  let leftOut = 0
  let made: Record<string, string> | undefined
  return {
    put(key, value) {
      const name = key.trim().slice(0, LIMITS.nameCharsMax)
      const text = value.trim()
      if (name === '' || (had.get(name) ?? '') !== '') return
      made = undefined
      if (had.size >= LIMITS.attributesMax - 1 && !had.has(name)) leftOut++
      else had.set(name, text.length > valueCharsMax ? `${text.slice(0, valueCharsMax - 1)}…` : text)
    },
    get: key => had.get(key),
    all() {
      if (had.size === 0) return undefined
      made ??= Object.fromEntries(leftOut > 0 ? [...had, [leftOutKey, String(leftOut)]] : had)
      return made
    },
  }
}
