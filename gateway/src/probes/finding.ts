/** What a look at the world found: of a configuration (`check`) or of the machine (`doctor`). */

export interface Finding {
  /** `fail`: readings are or will be lost, or do not come; `warn`: they may; `note`: to know. */
  mark: 'ok' | 'note' | 'warn' | 'fail'
  /** What was looked at: the id of a source, `uplink`, `spool`, `clock`, … */
  about: string
  /** One sentence, in plain words. */
  text: string
  /** What to do, where it is not ok. */
  remedy?: string
}

const of =
  (mark: Finding['mark']) =>
  (about: string, text: string, remedy?: string): Finding => ({
    mark,
    about,
    text,
    ...(remedy !== undefined && { remedy }),
  })

export const ok = of('ok')
export const note = of('note')
export const warn = of('warn')
export const fail = of('fail')
