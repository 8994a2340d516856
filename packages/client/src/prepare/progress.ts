/** What happens between a job file and a running job. */
export interface Progress {
  stage: 'import' | 'model' | 'upload' | 'submit' | 'note'
  /** A few words without a full stop. */
  message: string
  done?: number
  total?: number
}
