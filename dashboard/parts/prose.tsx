import { Fragment } from "preact";

/** A command that is all that stands in brackets, as in the fixes of conditions. */
const inBrackets = /(\((?:ip|bridge|nft|tc|iptables|ip6tables|arptables|modprobe|lsns|ss|ping|nearmiss) [^()]*\))/;

/** Texts of controller and agents: commands are between backticks, or in brackets. */
export function Prose({ text }: { readonly text: string }) {
  const parts = text.split("`");
  // Without its partner a backtick is one.
  if (parts.length % 2 === 0) return <>{text}</>;
  return (
    <>
      {parts.map((part, i) =>
        i % 2 === 0 ? <Sentence key={String(i)} text={part} /> : <Command key={String(i)} text={part} />,
      )}
    </>
  );
}

function Sentence({ text }: { readonly text: string }) {
  return (
    <>
      {text.split(inBrackets).map((part, i) =>
        i % 2 === 0 ? (
          part
        ) : (
          <Fragment key={String(i)}>
            (<Command text={part.slice(1, -1)} />)
          </Fragment>
        ),
      )}
    </>
  );
}

/** A line never ends between the hyphen of a flag and its letter. */
function Command({ text }: { readonly text: string }) {
  return (
    <code>
      {text.split(/( -{1,2}\w[\w-]{0,20}(?= |$))/).map((part, i) =>
        i % 2 === 0 ? (
          part
        ) : (
          <Fragment key={String(i)}>
            {" "}
            <span class="unbroken">{part.slice(1)}</span>
          </Fragment>
        ),
      )}
    </code>
  );
}
