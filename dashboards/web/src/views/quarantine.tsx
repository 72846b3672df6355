/** What could not be read: by cause, with a correction to try, to replay, or a reason to put it aside. */
import type { RejectState } from '../api.ts'
import { readFix } from '../quarantine/fix.ts'
import { Group } from '../quarantine/group.tsx'
import { Groups } from '../quarantine/groups.tsx'
import { states } from '../quarantine/parts.tsx'
import '../quarantine/quarantine.css'
import type { ViewProps } from '../view.ts'

export default ({ query, live }: ViewProps) => {
  const state = states.find(s => s === query.get('state')) ?? ('open' satisfies RejectState)
  const group = query.get('group')
  if (group === null) return <Groups {...{ state, live }} />
  return <Group key={group} {...{ id: group, state, fix: readFix(query.get('fix')), live }} />
}
