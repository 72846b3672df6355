/**
 * Whose fault it is. Programs print the message of a UserError alone and end with its exit code; anything else is ours
 * and keeps its stack.
 */
export class UserError extends Error {
  override name = 'UserError'
  readonly exitCode: number
  constructor(message: string, exitCode = 2, options?: ErrorOptions) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/** Bytes from outside that break the contract of the wire: the sender's fault, a value to be journaled, never a crash. */
export class WireError extends Error {
  override name = 'WireError'
}

/** Exit codes of both programs. */
export const EXIT = { ok: 0, failure: 1, usage: 2, config: 3, locked: 4, unavailable: 5 } as const
