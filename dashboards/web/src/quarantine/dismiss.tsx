/** Puts the open rejects of a cause aside, with a reason. */
import { useState } from 'preact/hooks'
import { post, type RejectGroup } from '../api.ts'
import { NameField } from './name.tsx'
import { countText, t } from './parts.tsx'

export interface DismissProps {
  group: RejectGroup
  name: string
  onName(name: string): void
  onDone(): void
}

export const Dismiss = ({ group, name, onName, onDone }: DismissProps) => {
  const [reason, setReason] = useState('')
  const [busy, setBusy] = useState(false)
  const [said, setSaid] = useState<string>()
  const dismiss = async () => {
    setBusy(true)
    try {
      let sum = 0
      for (;;) {
        const by = name.trim() === '' ? {} : { by: name.trim() }
        const { dismissed, left } = await post('/v1/rejects/dismiss', { filter: { group: group.id }, reason, ...by })
        sum += dismissed
        if (left === 0 || dismissed === 0) break
      }
      setSaid(t.dismissed(countText(sum)))
      onDone()
    } catch (error) {
      setSaid((error as Error).message)
    }
    setBusy(false)
  }
  return (
    <section class="panel dismiss" aria-labelledby="dismiss-title">
      <h2 id="dismiss-title">{t.dismissTitle}</h2>
      <p class="quiet">{t.dismissText}</p>
      <form
        class="fields"
        onSubmit={event => {
          event.preventDefault()
          void dismiss()
        }}
      >
        <label class="field wide">
          {t.reason}
          <input value={reason} maxLength={1000} required onInput={event => setReason(event.currentTarget.value)} />
        </label>
        <NameField value={name} onChange={onName} />
        <button type="submit" disabled={busy || reason.trim() === ''}>
          {busy ? t.dismissing : t.dismiss(countText(group.open), group.open === 1)}
        </button>
      </form>
      <p role="status">{said}</p>
    </section>
  )
}
