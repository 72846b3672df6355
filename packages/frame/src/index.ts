export {
  type DecodeLimits,
  decodeEnvelope,
  decodeReceipt,
  decodeStatus,
  encodeEnvelope,
  encodeReceipt,
  encodeStatus,
  expandGzip,
  withStatuses,
} from './codec.ts'
export { EXIT, UserError, WireError } from './errors.ts'
export * from './frame.ts'
export {
  healthSchema,
  LIMITS,
  ledgerLineSchema,
  nameSchema,
  originSchema,
  type PlainReading,
  plainReadingSchema,
  plainReadingsSchema,
  receiptSchema,
  recipeSchema,
  rejectSchema,
  statusSchema,
  wireEnvelopeSchema,
} from './schema.ts'
export {
  daysInMonth,
  formatNs,
  isZone,
  MS_PER_DAY,
  MS_PER_HOUR,
  NS_PER_HOUR,
  NS_PER_MS,
  NS_PER_S,
  parseIsoNs,
  utcMs,
  type Zone,
  zoneOf,
} from './time.ts'
export {
  cloudFilters,
  framesTopic,
  parseTopic,
  readingsTopic,
  receiptTopic,
  statusTopic,
  type Topic,
  unescapeLevel,
} from './topics.ts'
