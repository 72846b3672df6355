/** The stores, read once a page. */
import { useEffect, useState } from 'preact/hooks'
import { getStores, type Site } from '../api.ts'

export interface Stores {
  stores: Site[] | undefined
  error: string | undefined
  retry(): void
}

export const useStores = (): Stores => {
  const [stores, setStores] = useState<Site[]>()
  const [error, setError] = useState<string>()
  const [attempt, setAttempt] = useState(0)
  useEffect(() => {
    const abort = new AbortController()
    getStores(abort.signal).then(
      found => {
        setStores(found)
        setError(undefined)
      },
      (cause: Error) => !abort.signal.aborted && setError(cause.message),
    )
    return () => abort.abort()
  }, [attempt])
  return { stores, error, retry: () => setAttempt(n => n + 1) }
}
