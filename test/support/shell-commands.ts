// The commands of a shell script, by the grammar of POSIX as far as scripts of pages use it: for tests that list what a script does.

/** Words that stand before a command. */
const reserved = /^(?:if|then|elif|else|while|until|do|!|\{|fi|done|esac|\}|[A-Za-z_]\w*\(\))(?=\s|$)/;
const assignment = /^[A-Za-z_]\w*=(?:"[^"]*"|'[^']*'|[^\s"'])*(?=\s|$)/;

/**
 * In the order of the text, commands of `$(…)` before the one that they are in, where `$(…)` stands for them. Blanks are one blank,
 * assignments before a command and comments are left out.
 * @throws Error for what it does not read: here-documents, backticks, quotes without an end
 */
export function commandsOfShell(script: string): string[] {
  const reader = new Reader(script.replaceAll("\\\n", " "));
  reader.readCommands(false);
  return reader.found;
}

class Reader {
  readonly found: string[] = [];
  private at = 0;

  constructor(private readonly text: string) {}

  /** Up to the closing bracket if it is inside of one, or the end. */
  readCommands(isInside: boolean): void {
    let command = "";
    const end = () => {
      this.add(command);
      command = "";
    };
    while (this.at < this.text.length) {
      const char = this.text[this.at] ?? "";
      if (/\s/.test(char) && /^case .* in$/s.test(command.trim())) {
        command = "";
        this.skipPattern();
      } else if (char === "#" && /(?:^|\s)$/.test(command)) this.at = this.lineEnd();
      else if (this.isAt("<<") || char === "`") throw new Error("here-documents and backticks are not read");
      else if (char === ")" && isInside) {
        end();
        this.at += 1;
        return;
      } else if (this.isAt(";;")) {
        end();
        this.at += 2;
        this.skipPattern();
      } else if (this.isAt("()") || this.isAt(">&") || char === "\\") command += this.take(2);
      else if (/[\n;&|()]/.test(char)) {
        end();
        this.at += 1;
      } else command += this.readPart();
    }
    end();
  }

  /** A quoted text, a substitution, or one character. */
  private readPart(): string {
    const char = this.text[this.at];
    if (this.isAt("$(")) {
      this.at += 2;
      this.readCommands(true);
      return "$(…)";
    }
    if (char === "'") {
      const close = this.text.indexOf("'", this.at + 1);
      if (close < 0) throw new Error("a quote has no end");
      return this.take(close + 1 - this.at);
    }
    if (char !== '"') return this.take(1);
    let quoted = this.take(1);
    while (this.text[this.at] !== '"') {
      if (this.at >= this.text.length) throw new Error("a quote has no end");
      if (this.text[this.at] === "\\") quoted += this.take(2);
      else quoted += this.isAt("$(") ? this.readPart() : this.take(1);
    }
    return quoted + this.take(1);
  }

  /** Of a `case`: up to its bracket, or to `esac`. */
  private skipPattern(): void {
    while (this.at < this.text.length) {
      const char = this.text[this.at];
      if (this.isAt("esac")) return;
      if (char === "#") this.at = this.lineEnd();
      else if (char === '"' || char === "'") this.readPart();
      else {
        this.at += 1;
        if (char === ")") return;
      }
    }
  }

  private add(command: string): void {
    let rest = command.trim().replace(/\s+/g, " ");
    for (let before = ""; before !== rest; ) {
      before = rest;
      rest = rest.replace(reserved, "").trim().replace(assignment, "").trim();
    }
    if (rest !== "" && !/^for [A-Za-z_]\w*/.test(rest)) this.found.push(rest);
  }

  private isAt(text: string): boolean {
    return this.text.startsWith(text, this.at);
  }

  private take(count: number): string {
    this.at += count;
    return this.text.slice(this.at - count, this.at);
  }

  private lineEnd(): number {
    const end = this.text.indexOf("\n", this.at);
    return end < 0 ? this.text.length : end;
  }
}
