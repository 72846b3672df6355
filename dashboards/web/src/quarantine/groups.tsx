/** The causes, the one that came last first. */
import { useEffect, useState } from 'preact/hooks'
import { get, type RejectGroup, type RejectState } from '../api.ts'
import type { LiveLine } from '../live.ts'
import { Choice, Notice } from '../parts.tsx'
import { go, Link } from '../router.tsx'
import { Bytes, countText, quarantineUrl, rowsText, states, t, timeText, useChanges } from './parts.tsx'

const perPage = 50
const groupsMax = 200

export const Groups = ({ state, live }: { state: RejectState; live: LiveLine }) => {
  const [groups, setGroups] = useState<{ state: RejectState; list: readonly RejectGroup[]; more: boolean }>()
  const [error, setError] = useState<string>()
  const [limit, setLimit] = useState(perPage)
  const [changes, again] = useChanges(live)
  useEffect(() => {
    document.title = `${t.title} · Penstock`
  }, [])
  useEffect(() => {
    const abort = new AbortController()
    get('/v1/rejects/groups', { state, limit }, abort.signal).then(
      answer => {
        setGroups({ state, list: answer.groups, more: answer.next !== null })
        setError(undefined)
      },
      (cause: Error) => !abort.signal.aborted && setError(cause.message),
    )
    return () => abort.abort()
  }, [state, limit, changes])
  return (
    <>
      <h1>{t.title}</h1>
      <p class="lead">{t.lead}</p>
      <div class="states">
        <Choice
          label={t.state}
          value={state}
          options={states.map(value => ({ value, text: t.states[value] }))}
          onChange={value => go(quarantineUrl({ state: value }), { replace: true })}
        />
      </div>
      {error !== undefined && (
        <Notice title={t.failed} onRetry={again}>
          {error}
        </Notice>
      )}
      {groups?.state !== state ? (
        error === undefined && <span class="skeleton chart-place" />
      ) : groups.list.length === 0 ? (
        <Notice title={t.empty[state][0]}>{t.empty[state][1]}</Notice>
      ) : (
        <ul class="causes">
          {groups.list.map(group => (
            <Cause key={group.id} {...{ group, state }} />
          ))}
        </ul>
      )}
      {groups?.more && limit < groupsMax && (
        <button type="button" onClick={() => setLimit(Math.min(groupsMax, limit + perPage))}>
          {t.more}
        </button>
      )}
    </>
  )
}

const Cause = ({ group, state }: { group: RejectGroup; state: RejectState }) => (
  <li class="panel cause" data-group={group.id}>
    <div class="cause-head">
      <h2>
        <Link to={quarantineUrl({ state, group: group.id })}>{group.reason}</Link>
      </h2>
      <span class={`tag ${state}`}>{rowsText(group[state])}</span>
    </div>
    <Bytes {...group.example} />
    <CauseFoot group={group} />
  </li>
)

export const CauseFoot = ({ group }: { group: RejectGroup }) => (
  <p class="quiet small">
    {group.gateway ?? t.plainDevice} · {group.source}
    {group.filePattern !== null && ` · ${group.filePattern}`}
    {group.files > 1 && ` · ${t.files(countText(group.files), false)}`} ·{' '}
    {t.between(timeText(group.firstAt), timeText(group.lastAt))}
  </p>
)
