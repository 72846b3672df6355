export { hostName, isLoopback, refuseForeignOrigin, remoteIsLocal, sameSecret } from './caller.ts'
export { type EventQueue, eventStream, eventStreamHeaders, type ServerEvent } from './event-stream.ts'
export {
  didYouMean,
  invalidParameters,
  type ParameterError,
  ProblemError,
  type ProblemKind,
  problemResponse,
} from './problem.ts'
export { type HttpServer, openServer, type ServerOptions } from './server.ts'
export { compactAnswers, type Encoding, encodingFor, tagMatches } from './transfer.ts'
export { loadWeb, pageHeaders, type WebFile, type WebFiles, webResponse } from './web-files.ts'
