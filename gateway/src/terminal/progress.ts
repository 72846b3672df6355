/** A bar on a terminal's stderr for what takes long; nothing where stderr is no terminal, or it was quick. */
import type { Terminal } from '@penstock/program'
import { shorten } from './table.ts'

export interface Progress {
  at(done: number, total: number): void
  /** Takes the bar away; to be called however it ended. */
  end(): void
}

const quietMs = 500
const everyMs = 100
const barChars = 24

/** @param nowMs a clock that only runs forward */
export const createProgress = (what: string, { stderr }: Pick<Terminal, 'stderr'>, nowMs: () => number): Progress => {
  const began = nowMs()
  let lastMs = began
  let isShown = false
  return {
    at(done, total) {
      const now = nowMs()
      if (!stderr.isTTY || now - began < quietMs || now - lastMs < everyMs) return
      lastMs = now
      isShown = true
      const text = barText(what, done, total, now - began)
      // The last column stays free: a full line would make some terminals go to the next.
      stderr.write(`\r${shorten(text, Math.max(10, (stderr.columns ?? 80) - 1))}\u001b[K`)
    },
    end() {
      if (isShown) stderr.write('\r\u001b[K')
      isShown = false
    },
  }
}

const barText = (what: string, done: number, total: number, ms: number): string => {
  const share = total > 0 ? Math.min(1, done / total) : 0
  const full = Math.round(share * barChars)
  const bar = '█'.repeat(full) + '░'.repeat(barChars - full)
  const left = share > 0.01 ? `, ${Math.ceil((ms * (1 - share)) / share / 1000)} s left` : ''
  return `${bar} ${String(Math.floor(share * 100)).padStart(3)} %${left}  ${what}`
}
