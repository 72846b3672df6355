/** Light or dark: as the system says, unless a person chose. */
import { useEffect, useState } from 'preact/hooks'

type Theme = 'light' | 'dark'
const key = 'penstock-theme'
const system = matchMedia('(prefers-color-scheme: dark)')

const chosen = (): Theme | undefined => {
  try {
    const value = localStorage.getItem(key)
    return value === 'light' || value === 'dark' ? value : undefined
  } catch {
    return undefined
  }
}
const now = (): Theme => chosen() ?? (system.matches ? 'dark' : 'light')

export const useTheme = (): [Theme, () => void] => {
  const [theme, setTheme] = useState(now)
  useEffect(() => {
    const change = () => setTheme(now())
    system.addEventListener('change', change)
    return () => system.removeEventListener('change', change)
  }, [])
  document.documentElement.dataset.theme = theme
  const toggle = (): void => {
    const next = theme === 'dark' ? 'light' : 'dark'
    try {
      localStorage.setItem(key, next)
    } catch {
      // Without storage the choice lasts as long as the page.
    }
    document.documentElement.dataset.theme = next
    setTheme(next)
  }
  return [theme, toggle]
}
