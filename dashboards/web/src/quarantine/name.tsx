/** Who decides, as they call themselves; remembered by the browser. */
import { useState } from 'preact/hooks'
import { t } from './parts.tsx'

const key = 'penstock.name'
const remembered = (): string => {
  try {
    return localStorage.getItem(key) ?? ''
  } catch {
    return ''
  }
}

export const useName = (): [string, (name: string) => void] => {
  const [name, setName] = useState(remembered)
  return [
    name,
    next => {
      setName(next)
      try {
        localStorage.setItem(key, next)
      } catch {
        // A browser that keeps nothing: it is asked for again.
      }
    },
  ]
}

export const NameField = ({ value, onChange }: { value: string; onChange(name: string): void }) => (
  <label class="field">
    {t.name}
    <input
      value={value}
      maxLength={80}
      autocomplete="name"
      placeholder={t.nameHint}
      onInput={event => onChange(event.currentTarget.value)}
    />
  </label>
)
