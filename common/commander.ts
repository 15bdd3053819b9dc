// The package that parses command lines, through one door: the build puts it into one file, which loads in half the time.
export { Argument, Command, InvalidArgumentError, Option } from "commander";
