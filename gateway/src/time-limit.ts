/** Work that ends in time. */
import { setMaxListeners } from 'node:events'

/**
 * Runs the work under a signal that aborts with `outer`, or after `msMax`. Not made by AbortSignal.any and .timeout: what
 * they make may be collected under Node 20 before it fires.
 */
export const withTimeLimit = async <T>(
  outer: AbortSignal,
  msMax: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  const end = new AbortController()
  setMaxListeners(0, end.signal)
  const follow = () => end.abort(outer.reason)
  if (outer.aborted) follow()
  outer.addEventListener('abort', follow, { once: true })
  const timer = setTimeout(() => end.abort(new Error(`took longer than ${msMax} ms`)), msMax)
  try {
    return await work(end.signal)
  } finally {
    clearTimeout(timer)
    outer.removeEventListener('abort', follow)
  }
}
