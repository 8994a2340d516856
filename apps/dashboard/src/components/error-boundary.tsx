import { Component, type ReactNode } from 'react'

/** A mistake in one view must not take the page with it: says so and offers to draw it again. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { message: string | undefined }> {
  override state: { message: string | undefined } = { message: undefined }

  static getDerivedStateFromError(error: unknown): { message: string } {
    return { message: error instanceof Error ? error.message : String(error) }
  }

  override render(): ReactNode {
    const { message } = this.state
    if (message === undefined) return this.props.children
    return (
      <div className="empty" role="alert">
        <p className="empty-title">This part of the page could not be drawn.</p>
        <p className="muted">{message}</p>
        <button type="button" className="button" onClick={() => this.setState({ message: undefined })}>
          Try again
        </button>
      </div>
    )
  }
}
