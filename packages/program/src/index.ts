export { createLogger, type Logger } from './logger.ts'
export { type CommandLine, type Program, runProgram } from './program.ts'
