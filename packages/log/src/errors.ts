/** What the log tells its caller. Each message is one sentence that can be shown as it is. */
export class LogError extends Error {
  override name = 'LogError'
}

/** Another process, or another part of this one, has the log open. */
export class LogLockedError extends LogError {
  override name = 'LogLockedError'
  readonly path: string
  readonly pid: number
  constructor(path: string, pid: number) {
    super(
      `${path}: this log is in use by process ${pid}; stop that process first (a lock left by a dead process is taken over by itself)`,
    )
    this.path = path
    this.pid = pid
  }
}

/** The log was closed while the call waited, or before. */
export class LogClosedError extends LogError {
  override name = 'LogClosedError'
}

/** More waits for a commit than `pendingBytesMax`: the caller did not wait for its earlier appends. */
export class LogBusyError extends LogError {
  override name = 'LogBusyError'
}

/** A body, an append, a state or a number beyond the log's limits. */
export class LogRangeError extends LogError {
  override name = 'LogRangeError'
}

/** The disk failed or is full; `code` is the system's (EIO, ENOSPC, …). Nothing of the append is acknowledged. */
export class LogDiskError extends LogError {
  override name = 'LogDiskError'
  readonly code: string
  constructor(what: string, cause: unknown) {
    const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? 'EIO'
    super(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    this.code = code
  }
}
