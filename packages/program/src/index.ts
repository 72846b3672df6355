export { createLogger, type Logger } from './logger.ts'
export { type Command, type CommandLine, type Program, runProgram, type Terminal } from './program.ts'
