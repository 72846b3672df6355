/** The moment at which a counter was 0, where the lines above the data tell it. */
import { formatNs } from '@penstock/frame'
import type { TimeOptions } from './options.ts'
import { createTimeReader, LOCAL_TIME, NO_TIME, timeBytes } from './time-layout.ts'
import { createZoneClock } from './zone-clock.ts'

export interface CounterStart {
  /** Looks at a line above the data; the first that matches counts. */
  line(text: string): void
  /** The time options with the start that was found; or why there is none. */
  resolve(time: TimeOptions): TimeOptions | string
}

/** @param siteZone zone of a local start where the options name none */
export const createCounterStart = (time: TimeOptions | undefined, siteZone: string): CounterStart => {
  const wanted = time && 'column' in time && typeof time.start === 'object' ? time.start : undefined
  const pattern = wanted && new RegExp(wanted.pattern, 'u')
  let found: string | undefined
  const line = (text: string): void => {
    if (found !== undefined || !pattern) return
    const match = pattern.exec(text)
    if (match) found = (match[1] ?? match[0]).trim()
  }
  const resolve: CounterStart['resolve'] = options => {
    if (!wanted || !('column' in options)) return options
    if (found === undefined)
      return `no line above the data matches the pattern of the counter's start, ${wanted.pattern}`
    const bytes = new TextEncoder().encode(found)
    const at = new Float64Array(2)
    const layouts = typeof wanted.layout === 'string' ? [wanted.layout] : wanted.layout
    for (const layout of layouts) {
      const read = createTimeReader(layout)(timeBytes(bytes), 0, bytes.length, at)
      if (read === NO_TIME) continue
      const zone = typeof options.zone === 'string' ? options.zone : siteZone
      const local = at[0] as number
      const ms =
        read === LOCAL_TIME
          ? createZoneClock(zone, false).toUtc(local, { inside: false, local: 0, second: false })
          : local
      return { ...options, start: formatNs(BigInt(ms) * 1_000_000n + BigInt(at[1] as number)) }
    }
    return `the start of the counter, "${found.slice(0, 80)}", is no time (${layouts.join(' or ')})`
  }
  return { line, resolve }
}
