export type { Entry, Log, LogStats } from './log.ts'
