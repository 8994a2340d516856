import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import '../styles/tokens.css'
import '../styles/base.css'
import '../styles/frame.css'
import '../styles/parts.css'
import '../styles/contribute.css'
import { ErrorBoundary } from '../components/error-boundary.tsx'
import { ContributePage } from './contribute-page.tsx'

const root = document.getElementById('root')
if (!root) throw new Error('contribute.html has no #root')
createRoot(root).render(
  <StrictMode>
    <ErrorBoundary>
      <ContributePage />
    </ErrorBoundary>
  </StrictMode>,
)
