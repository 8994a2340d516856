import { CopyButton } from './copy-button.tsx'

/** A command for a terminal, with a button that copies it. */
export function Command({ text, what }: { text: string; what: string }) {
  return (
    <div className="command">
      <code>{text}</code>
      <CopyButton text={text} what={what} />
    </div>
  )
}
