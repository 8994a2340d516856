import { type Logger, pino } from 'pino'

/** Logs of a node, JSON lines on stderr: what happens when verbose, else only what went wrong beyond repair. */
export function createLogger(verbose = false): Logger {
  return pino({ level: verbose ? 'info' : 'fatal', base: undefined }, pino.destination({ fd: 2, sync: true }))
}
