/** Work that ends in time. */
import { setMaxListeners } from 'node:events'

/**
 * Runs the work under a signal that aborts with one of `outer`, or after `msMax`. Not made by AbortSignal.any and .timeout: what
 * they make may be collected under Node 20 before it fires.
 */
export const withTimeLimit = async <T>(
  outer: AbortSignal | readonly AbortSignal[],
  msMax: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  const end = new AbortController()
  setMaxListeners(0, end.signal)
  const signals = [outer].flat()
  const follow = () => end.abort(signals.find(signal => signal.aborted)?.reason)
  if (signals.some(signal => signal.aborted)) follow()
  for (const signal of signals) signal.addEventListener('abort', follow, { once: true })
  const timer = setTimeout(() => end.abort(new Error(`took longer than ${msMax} ms`)), msMax)
  try {
    return await work(end.signal)
  } finally {
    clearTimeout(timer)
    for (const signal of signals) signal.removeEventListener('abort', follow)
  }
}
