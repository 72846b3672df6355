export { decodeEntry } from './entry.ts'
export type { JournalEntry } from './projector.ts'
