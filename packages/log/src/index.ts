export { LogBusyError, LogClosedError, LogDiskError, LogError, LogLockedError, LogRangeError } from './errors.ts'
export { type LogFile, type LogFs, nodeLogFs } from './fs.ts'
export type { Damage, Entry, Log, LogOptions, LogStats } from './log.ts'
export { openLog } from './open.ts'
