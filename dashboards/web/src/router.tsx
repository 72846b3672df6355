/** Where the reader is: the address says it all, so that a link or a reload shows the same again. */
import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'

export interface Route {
  path: string
  query: URLSearchParams
}
export interface GoOptions {
  /** The same entry of the browser’s history: for filters. A new one otherwise: for places. */
  replace?: boolean
}
export type Go = (to: string, options?: GoOptions) => void

const here = (): Route => ({ path: location.pathname, query: new URLSearchParams(location.search) })

const listeners = new Set<() => void>()
export const go: Go = (to, { replace = false } = {}) => {
  if (replace) history.replaceState(null, '', to)
  else {
    history.pushState(null, '', to)
    window.scrollTo(0, 0)
  }
  for (const listener of listeners) listener()
}

export const useRoute = (): Route => {
  const [route, setRoute] = useState(here)
  useEffect(() => {
    const update = () => setRoute(here())
    listeners.add(update)
    window.addEventListener('popstate', update)
    return () => {
      listeners.delete(update)
      window.removeEventListener('popstate', update)
    }
  }, [])
  return route
}

/** A link within the page; one that is opened in another tab, or copied, works all the same. */
export const Link = ({
  to,
  children,
  ...rest
}: {
  to: string
  class?: string
  children: ComponentChildren
  title?: string
  'aria-current'?: 'page' | undefined
}) => (
  <a
    {...rest}
    href={to}
    onClick={event => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return
      event.preventDefault()
      go(to)
    }}
  >
    {children}
  </a>
)
