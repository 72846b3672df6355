/**
 * An API that is asked over HTTP: `poll`, again and again for what is now, or `walk`, for one time after the other from a
 * start date on. A server that cannot be reached, refuses or is slow is a state of health; it is asked again.
 */
import type { Health } from '@penstock/frame'
import type { Batch, Cursor, Source, SourceDeps } from '../source.ts'
import { createAsking, createTroubles, seriesOf } from './http/asking.ts'
import { type HttpOptions, withPreset } from './http/options.ts'
import { poll } from './http/poll.ts'
import { walk } from './http/walk.ts'

export { type HttpOptions, httpOptions, httpSecretRefs } from './http/options.ts'

export const openHttp = (given: HttpOptions, deps: SourceDeps): Source => {
  const options = withPreset(given)
  const all = seriesOf(options)
  const asking = createAsking(options, deps)
  const troubles = createTroubles(deps.log, options.id)
  let isHeard = false
  const heard = () => {
    isHeard = true
  }

  const health = (): { health: Health; message?: string } => {
    const problem = troubles.text()
    if (problem !== undefined) return { health: 'failing', message: problem }
    return { health: isHeard ? 'ok' : 'starting' }
  }
  const batches = (resume: Cursor, signal: AbortSignal): AsyncGenerator<Batch> => {
    const { walk: steps } = options
    return steps
      ? walk({ ...options, walk: steps }, all, asking, troubles, deps, resume, signal, heard)
      : poll(options, all, asking, troubles, deps, resume, signal, heard)
  }
  return { id: options.id, kind: 'http', batches, health }
}
