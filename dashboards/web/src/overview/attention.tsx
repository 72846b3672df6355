/** What needs a person, most urgent first, each with where one acts. */
import { useEffect, useState } from 'preact/hooks'
import { get } from '../api.ts'
import type { AttentionItem, LiveLine } from '../live.ts'
import { Link } from '../router.tsx'
import { texts } from '../texts.ts'

const t = texts.overview

export const AttentionList = ({ live }: { live: LiveLine }) => {
  const [items, setItems] = useState<readonly AttentionItem[]>()
  useEffect(() => {
    const abort = new AbortController()
    // The state of the line says it where this fails; the next change asks again.
    const read = () =>
      void get('/v1/attention', {}, abort.signal).then(
        found => setItems(found.items),
        () => {},
      )
    read()
    const off = [live.onAttention(setItems), live.onReset(read)]
    return () => {
      abort.abort()
      for (const stop of off) stop()
    }
  }, [live])
  if (!items) return <span class="skeleton" />
  return (
    <section class="attention" aria-labelledby="attention-title" aria-live="polite">
      <h2 id="attention-title">{items.length === 0 ? t.allWell : t.attention(items.length)}</h2>
      <ul>
        {items.map(item => (
          <li key={item.id} class={item.level}>
            <span class="attention-sign" aria-hidden="true">
              {item.level === 'urgent' ? '!' : '·'}
            </span>
            <p>
              <strong>{item.what}</strong> <span class="quiet">{item.act}</span>
            </p>
            {item.link !== '/' && <Link to={item.link}>{t.look}</Link>}
          </li>
        ))}
      </ul>
    </section>
  )
}
