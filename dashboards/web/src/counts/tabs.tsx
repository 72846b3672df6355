/** Ways to look at the same: one of them is shown, arrow keys lead to the next. */
import { texts } from '../texts.ts'
import { type Tab, tabs } from './url.ts'

const t = texts.counts.tabs

export const Tabs = ({ value, onChange }: { value: Tab; onChange(next: Tab): void }) => {
  const walk = (event: KeyboardEvent & { currentTarget: HTMLElement }): void => {
    const at = tabs.indexOf(value)
    const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: tabs.length - 1 }[event.key]
    const tab = next === undefined ? undefined : tabs.at(next % tabs.length)
    if (!tab) return
    event.preventDefault()
    onChange(tab)
    event.currentTarget.querySelector<HTMLElement>(`#tab-${tab}`)?.focus()
  }
  return (
    <div class="count-tabs" role="tablist" aria-label={t.label} onKeyDown={walk}>
      {tabs.map(tab => (
        <button
          key={tab}
          id={`tab-${tab}`}
          type="button"
          role="tab"
          aria-selected={tab === value}
          aria-controls="tab-panel"
          tabIndex={tab === value ? 0 : -1}
          onClick={() => onChange(tab)}
        >
          {t[tab]}
        </button>
      ))}
    </div>
  )
}
