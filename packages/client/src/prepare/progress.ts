/** What happens between a job file and a running job, and with what is stored. */
export interface Progress {
  stage: 'import' | 'model' | 'upload' | 'submit' | 'store' | 'fetch' | 'check' | 'note'
  /** A few words without a full stop. */
  message: string
  done?: number
  total?: number
}
