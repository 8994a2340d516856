import type { JobResult, JobView } from '@pingo/wire'
import { fileUrl, type ResultFile } from '../core/api.ts'
import { bytes, metric, metricLabel } from '../core/format.ts'
import { Command } from './command.tsx'
import { Section } from './section.tsx'

/** What the test data say of the trained model, the model and what belongs to it. */
export function Result({ job, result }: { job: JobView; result: JobResult }) {
  const files: { file: ResultFile; what: string; size: number }[] = [
    { file: 'model.onnx', what: 'The trained model, for any ONNX runtime', size: result.model.bytes },
    { file: 'checkpoint.safetensors', what: 'The weights alone', size: result.checkpoint.bytes },
    { file: 'model.json', what: 'Model card: data, rounds, metrics, who did what', size: result.card.bytes },
  ]
  const measured = Object.entries(job.testMetrics ?? {})
  return (
    <Section title="Result" className="result" aside={measured.length > 0 ? 'on the test data' : undefined}>
      <div className="panel">
        {measured.length > 0 && (
          <dl className="measured" aria-label="On the test data">
            {measured.map(([name, value]) => (
              <div key={name}>
                <dt>{metricLabel(name)}</dt>
                <dd>{metric(name, value)}</dd>
              </div>
            ))}
          </dl>
        )}
        <ul className="downloads">
          {files.map(({ file, what, size }) => (
            <li key={file}>
              <a href={fileUrl(job.id, file)} download={file} className="download">
                <svg
                  viewBox="0 0 16 16"
                  aria-hidden="true"
                  fill="none"
                  stroke="currentColor"
                  strokeWidth="1.6"
                  strokeLinecap="round"
                  strokeLinejoin="round"
                >
                  <path d="M8 2.500v7.500M4.800 7l3.200 3.200L11.200 7M2.800 13.200h10.400" />
                </svg>
                <span className="download-name">{file}</span>
                <span className="download-size">{bytes(size)}</span>
                <span className="download-what muted">{what}</span>
              </a>
            </li>
          ))}
        </ul>
        <div className="result-command">
          <span className="muted">Or in a terminal, every byte checked against its content address:</span>
          <Command text={`npx pingo job get ${job.id}`} what="the command that fetches the result" />
        </div>
      </div>
    </Section>
  )
}
