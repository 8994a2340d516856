import type { Connection } from '../core/network-state.ts'

const WORDS: Record<Connection, string> = { connecting: 'Connecting', live: 'Live', lost: 'Offline' }

/** Whether the numbers on the page are today's. */
export function ConnectionState({ connection }: { connection: Connection }) {
  return (
    <span className="connection" data-state={connection} role="status" aria-label={`Connection: ${WORDS[connection]}`}>
      <span className="dot" aria-hidden="true" />
      <span className="connection-word">{WORDS[connection]}</span>
    </span>
  )
}
